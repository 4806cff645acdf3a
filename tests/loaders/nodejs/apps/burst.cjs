// 1,300 lines at once, then nothing.
for (let at = 0; at < 1300; at++) console.log('line %d', at);
setInterval(() => {}, 1000);
