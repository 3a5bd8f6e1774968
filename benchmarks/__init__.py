"""What claims about speed are made from; run by hand, never by the tests."""
