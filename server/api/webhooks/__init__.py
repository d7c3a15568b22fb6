"""Twilio's calls to us, one file a kind. Each is signed over the exact public address."""
