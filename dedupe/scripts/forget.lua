-- Whatever is kept of a task goes (jobhook forget). Says how many keys there were.

return { redis.call('DEL', KEYS[1]) }
