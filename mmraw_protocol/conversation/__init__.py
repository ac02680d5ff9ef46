"""Images in conversations: message parts, prompts, placeholders, environment variables."""
