"""A postmortem as a page that people read: Markdown for a ticket, HTML for a mail."""
