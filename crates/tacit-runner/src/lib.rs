//! Automations: their steps, one after the other, through the broker.
