"""What is read of a HubSpot account: contacts as facts, what forms brought and deals as events."""
