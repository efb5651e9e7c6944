#!/bin/sh
# A short-lived job: sums up some numbers and is gone. This shell is the task.
sum=0
i=0
while [ "$i" -lt 1000 ]; do
    i=$((i + 1))
    sum=$((sum + i))
done
printf 'truth\terrand\t0\t1\t0\nsettled\n'
[ "$sum" = 500500 ]
