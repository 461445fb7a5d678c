// What the functions of plugins answer, beside what only one kind of them does.

/** The answer that changes nothing: the event is kept, at the rate 1. */
export const keep = Object.freeze({ keep: true });
