//! Phones followed from outside, message by message.
