// What a hostile page can do to a port of its visitor's machine. Answers with every body that it could read.
async (targets) => {
  const read = []
  const note = (how, target, status, text) => read.push({ how, url: target.url, status, text: String(text).slice(0, 200) })
  const patience = () => new Promise((resolve) => setTimeout(resolve, 3000))
  const loads = (how, target, make) => new Promise((resolve) => {
    const element = make()
    element.onload = () => { note(how, target, 200, 'loaded'); resolve() }
    element.onerror = resolve
    document.body.append(element)
  })
  const element = (tag, facts) => Object.assign(document.createElement(tag), facts)
  const tell = (how, target, options) => fetch(target.url, { method: target.method, ...options }).then(async (answer) => {
    if (answer.type !== 'opaque') note(how, target, answer.status, await answer.text())
  }, () => {})
  const body = (target) => (target.method === 'GET' ? undefined : target.body)

  const ways = {
    cors: (t) => tell('cors', t, { body: body(t), headers: t.headers }),
    credentials: (t) => tell('credentials', t, { body: body(t), credentials: 'include' }),
    noCors: (t) => ['GET', 'POST'].includes(t.method) && tell('no-cors', t, { body: body(t), mode: 'no-cors', credentials: 'include' }),
    xhr: (t) => new Promise((resolve) => {
      const request = new XMLHttpRequest()
      request.open(t.method, t.url)
      request.upload.onprogress = () => {}
      request.onloadend = () => { if (request.status) note('xhr', t, request.status, request.responseText); resolve() }
      request.send(body(t))
    }),
    beacon: (t) => t.method === 'POST' && navigator.sendBeacon(t.url, t.body),
    image: (t) => t.method === 'GET' && loads('image', t, () => element('img', { src: t.url })),
    script: (t) => t.method === 'GET' && loads('script', t, () => element('script', { src: t.url })),
    style: (t) => t.method === 'GET' && loads('style', t, () => element('link', { rel: 'stylesheet', href: t.url })),
    frame: (t) => t.method === 'GET' && new Promise((resolve) => {
      const frame = element('iframe', { src: t.url })
      frame.onload = () => {
        const inside = frame.contentDocument
        if (inside && inside.URL !== 'about:blank') note('frame', t, 0, inside.body.innerText)
        resolve()
      }
      document.body.append(frame)
    }),
    events: (t) => t.method === 'GET' && new Promise((resolve) => {
      const source = new EventSource(t.url, { withCredentials: true })
      source.onopen = () => { note('events', t, 200, 'open'); source.close(); resolve() }
      source.onerror = () => { source.close(); resolve() }
    }),
    socket: (t) => t.method === 'GET' && new Promise((resolve) => {
      const socket = new WebSocket(t.url.replace('http', 'ws'))
      socket.onopen = () => { note('socket', t, 101, 'open'); socket.close(); resolve() }
      socket.onclose = resolve
    }),
    forms: (t) => t.method === 'POST' && Promise.all(
      ['application/x-www-form-urlencoded', 'multipart/form-data', 'text/plain'].map((enctype, index) => {
        const name = `${t.url}${enctype}`
        const frame = element('iframe', { name })
        const form = element('form', { method: 'post', action: t.url, enctype, target: name })
        const fields = index === 1 ? [['meta', '{"name": "evil-form.txt"}'], ['file', 'evil']] : [[t.body, '']]
        for (const [field, value] of fields) form.append(element('textarea', { name: field, value }))
        document.body.append(frame, form)
        form.submit()
        return new Promise((resolve) => { frame.onload = resolve })
      })),
  }
  for (const way of Object.values(ways)) {
    await Promise.race([Promise.all(targets.map((target) => way(target) || null)), patience()])
  }
  return read
}
