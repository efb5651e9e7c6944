# Lines of fields (awk -F SEPARATOR -f scripts/table.awk) as aligned columns, two spaces apart. column(1) is not on every machine.
{
  n[NR] = NF
  for (i = 1; i <= NF; i++) { cell[NR, i] = $i; if (length($i) > width[i]) width[i] = length($i) }
}
END {
  for (r = 1; r <= NR; r++) {
    line = ""
    for (i = 1; i <= n[r]; i++) line = line sprintf("%-" (width[i] + 2) "s", cell[r, i])
    sub(/ +$/, "", line)
    print line
  }
}
