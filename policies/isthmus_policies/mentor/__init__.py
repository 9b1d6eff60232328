"""From pictures to actions: DrQ-v2, DrM and MENTOR, one learner with parts switched on and off."""
