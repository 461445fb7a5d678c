//! First-party plugin sentry-grouping
