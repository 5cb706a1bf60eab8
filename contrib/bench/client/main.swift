print("client-bench")
