//! Consume, run the stages, group, sink, commit; owns the ports
