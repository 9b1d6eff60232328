"""Identification: from recordings of a robot to a simulator that predicts it, with how sure each number is."""
