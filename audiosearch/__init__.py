"""audiosearch: a self-hosted search engine for sound."""
