"""Everything that touches Ray: groups of workers, their mailbox, launching, attaching, interrupting."""
