// MariaDB by mysql2 on Node.js: `mysql_node_client.cjs PORT`.
const { Readable } = require('stream')
const mysql = require('mysql2/promise')
const { operation, token } = require('./truth.cjs')

const PORT = Number(process.argv[2])
const SETTINGS = { host: '127.0.0.1', port: PORT, user: 'app', password: 'secret', database: 'shop' }
// tshark does not count what fails to be prepared and a refused connection.
const APART = { apart: true }

// Logs a statement with the number of its error.
async function run(word, name, ask, code = null, more = {}) {
  const outcome = await operation('mysql', PORT, [word, name], async () => {
    try {
      await ask()
      return null
    } catch (error) {
      return String(error.errno)
    }
  }, more)
  if (outcome !== code) throw new Error(`${word} ${name}: ${outcome}, not ${code}`)
}

async function text(connection, rounds) {
  for (let number = 0; number < rounds; number++) {
    let name = token()
    await run('SELECT', name, () => connection.query(`SELECT ${number} AS ${name}, 'a ''literal''' AS other`))
    name = token()
    await run('SELECT', name, () => connection.query(`SELECT ? AS ${name}, ? AS more`, [number, "it's"]))
    name = token()
    await run('SELECT', name, () => connection.query(`SELECT ${name} FROM nowhere`), '1146')
    name = token()
    await run('QUERY', name, () => connection.query(`SELEC ${name}`), '1064')
  }
}

async function prepared(connection) {
  for (let number = 0; number < 25; number++) {
    const name = token()
    const sql = `SELECT seq AS ${name}, CONCAT('x', seq) FROM seq_1_to_50 WHERE seq <= ?`
    for (let rows = 1; rows < 4; rows++) {
      await run('SELECT', name, () => connection.execute(sql, [rows]))
    }
    if (number % 2) connection.unprepare(sql)
    const bad = token()
    await run('SELECT', bad, () => connection.execute(`SELECT nope AS ${bad} FROM scratch WHERE id = ?`, [number]), '1054', APART)
  }
}

async function others(connection) {
  for (const sql of ['BEGIN', "INSERT INTO scratch VALUES (1, 'x')", "UPDATE scratch SET word = 'y'", 'DELETE FROM scratch', 'ROLLBACK']) {
    await run(sql.split(' ')[0], null, () => connection.query(sql))
  }
  for (const rows of [0, 1, 5000]) {
    const name = token()
    await run('SELECT', name, () => connection.query(`SELECT seq AS ${name}, REPEAT('x', 20) FROM seq_1_to_100000 LIMIT ${rows}`))
  }
  let name = token()
  await run('SELECT', name, () => connection.query(`SELECT 1 AS ${name}; UPDATE scratch SET word = 'z'; SELECT 2`))
  name = token()
  await run('SELECT', name, () => connection.query(`SELECT 1 AS ${name}; SELECT nope; SELECT 3`), '1054')
  await run('CALL', null, () => connection.query('CALL two()'))
  name = token()
  await run('SELECT', name, () => connection.query(`SELECT REPEAT('x', 1000000) AS ${name}`))
  for (const lines of [1, 5000]) {
    const infileStreamFactory = () => Readable.from([Buffer.from('7,word\n'.repeat(lines))])
    await run('LOAD', null, () => connection.query({ sql: "LOAD DATA LOCAL INFILE 'words.csv' INTO TABLE scratch FIELDS TERMINATED BY ','", infileStreamFactory }))
  }
  await run('DELETE', null, () => connection.query('DELETE FROM scratch'))
  for (let number = 0; number < 5; number++) {
    await run('PING', null, () => connection.ping())
  }
}

// A pool asks on several connections at the same time.
async function together() {
  const pool = mysql.createPool({ ...SETTINGS, connectionLimit: 4 })
  await Promise.all(Array.from({ length: 40 }, () => {
    const name = token()
    return run('SELECT', name, () => pool.query(`SELECT seq AS ${name} FROM seq_1_to_10`))
  }))
  await pool.end()
}

async function main() {
  const connection = await mysql.createConnection({ ...SETTINGS, multipleStatements: true })
  await text(connection, 26)
  await prepared(connection)
  await others(connection)
  await connection.end()
  const packed = await mysql.createConnection({ ...SETTINGS, compress: true })
  await text(packed, 8)
  await packed.end()
  await together()
  await run('CONNECT', null, () => mysql.createConnection({ ...SETTINGS, password: 'wrong' }), '1045', APART)
}

main()
