//! First-party plugin pii-scrubber
