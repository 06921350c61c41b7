//! A peer against a peer, and against one that breaks the rules.
