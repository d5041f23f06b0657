--include record.lua
-- Attempt n ended without a 2xx. ARGV[1] is C(n), ARGV[7] what follows.

if foreign then
    return { FOREIGN, now, unreadable }
end
if rank >= my_rank + 2 then
    return { SKIP, now, unreadable }
end
if rank == my_rank + 1 then
    return { OK, now, unreadable, follows }
end
local left = busy_for()
if left > 0 then
    return { BUSY, now, unreadable, left }
end
write_settled(my_rank + 1, 0, ARGV[7], 0)
return { OK, now, unreadable, tonumber(ARGV[7]) }
