"""Studies: networks trained under the same conditions with several seeds, and compared pair by pair."""
