//! HTTP bytes to authenticated, bounded, framed items in the queue
