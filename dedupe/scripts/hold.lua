-- What a process has in its hands, and whoever had it before and never gave it back (dedupe/holds.h).
--
-- A hash: each holder's token with the weight of its death, and `at`, the offset at which it was taken up. Lua's numbers are exact up to 2^53,
-- offsets fit. A holder's own entry does not count against it, so every call may be repeated.

local HOLDERS_MAX = 64
local IN_DOUBT = 2 -- so many died at one offset: from then on progress does not clear the thing

local key, token, weight, ttl = KEYS[1], ARGV[1], tonumber(ARGV[2]), ARGV[3]
local at, range = tonumber(ARGV[4]), tonumber(ARGV[5])

local from, dead, holders = nil, 0, 0
local stored = redis.pcall('HGETALL', key)
if stored.err then -- a key of another type: nothing of ours
    redis.call('DEL', key)
    stored = {}
end
for i = 1, #stored, 2 do
    local name, value = stored[i], tonumber(stored[i + 1]) or 0
    if name == 'at' then
        from = value
    elseif name ~= token then
        dead, holders = dead + value, holders + 1
    end
end

if weight < 0 then -- it came out well
    redis.call('DEL', key)
elseif weight == 0 then -- given back
    redis.call('HDEL', key, token)
    if holders == 0 then
        redis.call('DEL', key)
    end
else
    local within = from and holders >= IN_DOUBT and from <= at and at < from + range
    if from ~= at and not within then -- nobody died here
        redis.call('DEL', key)
        redis.call('HSET', key, 'at', ARGV[4])
        from, dead, holders = at, 0, 0
    end
    if holders < HOLDERS_MAX then
        redis.call('HSET', key, token, ARGV[2])
    end
    redis.call('PEXPIRE', key, ttl)
end
local clock = redis.call('TIME')
return { dead, from or 0, clock[1] * 1000 + math.floor(clock[2] / 1000) }
