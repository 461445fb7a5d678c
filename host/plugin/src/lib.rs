//! Load, link, limit and call WebAssembly components
