--include record.lua
-- S(n), X or D: a fact, whoever holds a lease. ARGV[1] is its rank, ARGV[7] when the next attempt is due, or of X and D
-- how many there were.

if foreign then
    return { FOREIGN, now, unreadable }
end
if my_rank > rank then
    write_settled(my_rank, 0, 0, ARGV[7])
end
return { OK, now, unreadable }
