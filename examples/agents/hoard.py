"""Takes memory until the limit of its container ends it. It says so beforehand, as it cannot say it afterwards."""

print("truth", "hoard", "oom", 1, "0", sep="\t")
print("settled", flush=True)
hoard = []
while True:
    hoard.append(bytearray(b"x" * (1 << 20)))
