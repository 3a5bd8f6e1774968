"""The two REST APIs: each call described once."""
