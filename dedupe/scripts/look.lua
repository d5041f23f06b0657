-- What is known about a task (dedupe/lookup.h): Redis's time, what there is (0 nothing, 1 a record, 2 something that is none), its bytes, and for
-- how many ms it will be kept. Changes nothing.

local LONGEST = 64
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local stored = redis.pcall('GET', KEYS[1])
if not stored then
    return { now, 0, '', 0 }
end
if type(stored) ~= 'string' or #stored > LONGEST then
    return { now, 2, '', 0 }
end
return { now, 1, stored, math.max(0, redis.call('PTTL', KEYS[1])) }
