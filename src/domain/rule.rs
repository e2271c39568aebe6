//! Validation rules, for people: what is wrong with a field and how to put it right.
