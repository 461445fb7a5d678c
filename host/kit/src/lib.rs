//! What plugin authors run: encode, build, inspect
