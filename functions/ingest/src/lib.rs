//! Takes events from the platform, stores them and queues their deliveries.
