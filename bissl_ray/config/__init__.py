"""Typed, validated models of everything a user may set."""
