--include record.lua
-- A record for attempt n with deferral ARGV[2] is durable, due at ARGV[7]; ARGV[1] is C(n). Ends the own lease; somebody else's goes on.

if foreign then
    return { FOREIGN, now, unreadable }
end
if rank < my_rank or (rank == my_rank and deferral < my_deferral) then
    if busy_for() > 0 then
        write_leased(my_deferral, token, math.min(lease_end, now + lease_ms), lease_ms)
    else
        write_settled(my_rank, my_deferral, 0, ARGV[7])
    end
elseif rank == my_rank and token == my_token then
    -- Another copy was deferred at least as far while this lease ran: only an equal one is due when this one is.
    write_settled(my_rank, deferral, 0, deferral == my_deferral and ARGV[7] or 0)
end
return { OK, now, unreadable }
