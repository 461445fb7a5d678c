//! Fingerprint to group id, and the rollup per chunk
