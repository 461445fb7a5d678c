//! First-party plugin inbound-filters
