//! Sentry's rule conditions, shared by the filters and the sampler
