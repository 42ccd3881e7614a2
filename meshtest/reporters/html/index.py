def index(x): return ""
