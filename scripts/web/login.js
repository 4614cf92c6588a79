const problem = document.querySelector('#problem');

document.querySelector('#login').addEventListener('submit', async (event) => {
  event.preventDefault();
  const operator = document.querySelector('#operator').value.trim();
  const token = document.querySelector('#token').value.trim();
  problem.textContent = '';
  try {
    const answer = await fetch('/login', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ operator, token }),
    });
    if (answer.ok) {
      location.replace('/');
      return;
    }
    problem.textContent = (await answer.json()).error;
  } catch {
    problem.textContent = 'The daemon does not answer.';
  }
  document.querySelector('#token').select();
});

document.querySelector('#operator').focus();
