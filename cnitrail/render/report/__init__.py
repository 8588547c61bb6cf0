"""Reports for people: Markdown for a ticket, HTML for a mail."""
