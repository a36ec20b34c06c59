"""Values: which occurrence of a macro conversion is reported, once, and with which amount."""
