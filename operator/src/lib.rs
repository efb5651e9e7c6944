//! fleetscope
