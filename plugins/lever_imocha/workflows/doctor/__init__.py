"""The doctor: checks whether an account is set up so that candidates can be invited and reports written back."""
