"""Who is who: identifiers in normal form, sealed, resolved to persons; what is known of a person."""
