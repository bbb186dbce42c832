"""Objects in and out of the store: what every resource's create, get, list, watch, update, patch and delete share."""
