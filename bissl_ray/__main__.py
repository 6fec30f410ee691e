"""`python -m bissl_ray`, the same as `bissl-ray`."""

from bissl_ray.cli.main import main

main()
