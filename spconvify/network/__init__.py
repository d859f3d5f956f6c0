"""A network as it is: walked, run, watched, counted; nothing here changes one."""
