//! First-party plugin dynamic-sampler
