//! A plugin that traps, loops, grows or lies hurts nobody but itself.
