"""Who may ask for what, with which token, and how often: each rule holds, and each slip is caught."""
