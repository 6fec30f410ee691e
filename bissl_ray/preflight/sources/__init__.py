"""Where a checkpoint comes from, if from elsewhere: an address on the web, the Hugging Face hub, timm."""
